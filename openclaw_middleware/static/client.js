var le="pointerdown click keydown wheel touchmove input",ue="visibilitychange resume focus online";function de(s,n,i){for(let d of s.split(" "))addEventListener(d,n,{capture:!0,passive:!0,signal:i})}var fe=0,pe=0,he=0,w=()=>Date.now(),_=()=>performance.now(),me=()=>[w()-pe,_()-he];function Z(s,n){fe=s,pe=n,he=_()-w()+n}var z=()=>fe+Math.max(...me())/1e3;function $(){let[s,n]=me();return Math.abs(s-n)>2e3}var Ie=1e4;async function Q(s,n){let i=w(),d=Math.random(),v,c;try{v=await fetch(s+"&nonce="+d,{method:n&&"POST",headers:{"content-type":"application/json","x-session-client":"1"},body:JSON.stringify(n),cache:"no-store",redirect:"manual",keepalive:!0,signal:AbortSignal.timeout(Ie)});let{status:f,type:l}=v,h=await v.text();if((f==200||l=="opaqueredirect")&&(c={state:"login_page",now:0}),f==200||f==401){let g=JSON.parse(h);c=g?.nonce==d?g:void 0}}catch{}return{answer:c,at:i,response:v}}var q=s=>({session:s,acted:0,told:0,beat:0});function ge(s,n){let i=q(),d,v="",c;function f(){try{return Object(JSON.parse(v||localStorage[s]))}catch{return q()}}function l(){let o=f();return o.session==i.session&&(i=o),Math.max(i.acted,i.beat)<w()+1e3||(i=q(i.session)),i}function h(o){Object.assign(l(),o);try{localStorage[s]=JSON.stringify(i)}catch{v="{}"}}function g(){c?.close(),c=void 0}function x(o=i.session){if(o!=i.session&&(i=q(o),g(),h({})),!(!o||c))try{c=new BroadcastChannel(s+o),c.onmessage=E=>n(E.data)}catch{}}return{read:l,write:h,join:x,leave:g,news(){let{session:o}=f(),E=o&&o!=i.session&&o!=d;return d=o,E},post(o){c?.postMessage(o)},async alone(o){try{return await navigator.locks.request(s,{ifAvailable:!0},async E=>E&&o())}catch{return o()}}}}var be=1e3,Ae=5,Ne=100,_e=60,Le=5,P=class extends EventTarget{constructor(n={}){super();let i=new URL(n.base||".",import.meta.url).href,d=ge("session-keeper:"+i,Me),{read:v,write:c,post:f}=d,l,h=!1,g=1/0,x=1/0,o="unknown",E,u,m=0,L=0,C=0,A=-1/0,O=!1,k=!1,b=!1,K,T;this.start=()=>{if(T)return;T=new AbortController;let{signal:e}=T,t=(a,p)=>de(a,p,e);t(le,a=>a.isTrusted&&D()),t(ue,a=>a.target.tagName||M()),t("pagehide",d.leave),t("pageshow",a=>{d.join(),a.persisted&&N()}),t("storage",()=>d.news()&&N()),d.join();let{atLoad:r}=n;r&&Math.abs(r.now-w()/1e3)<30&&H(r,w()),K=setInterval(S,be),S()},this.stop=()=>{T?.abort(),T=void 0,clearInterval(K),d.leave()};let y=()=>Math.min(g,x)-z(),U=this.status=()=>({...l,phase:o,left:o=="absolute"?x-z():y(),offline:m>0,...u}),N=this.check=()=>{k=!0,C=0,S()};this.extend=()=>{b=!0,c({acted:w()}),N()},this.logout=async()=>{let e=await G("logout",{}),t=!!e?.answer.now;return t?ne(e):k=!0,S(),t},this.dismiss=()=>{E=o,S()},this.heard=({status:e,redirected:t,url:r})=>{let a=e==401||t&&r.includes(n.loginUrl||`
`);return a&&N(),a};let j=()=>n.path||location.pathname;function D(){!h||o=="idle"||_()-A<1e3||(A=_(),c({acted:w()}),S())}function M(){let e=o=="active"||o=="none",t=l&&z()-l.now<(e?l.heartbeat_interval:2);m||!t&&document.visibilityState=="visible"?N():S()}function S(){T&&(oe(),te()&&!O&&_()>=C&&Se())}function ee(e){return[g<x-1?g-e.warning_lead:1/0,x-e.absolute_warning_lead,Math.min(g,x)]}function te(){if(b)return"heartbeat";if(!l||k||h&&$())return m%2?"heartbeat":"status";if(!h)return"";let{acted:e,told:t,beat:r}=v(),a=l.now,p=z(),I=ee(l);if(I.some(Y=>a<Y&&Y<=p))return e>t&&p<I[2]?"heartbeat":"status";let V=w()-r>=1e3*l.heartbeat_interval&&p>=a+(l.next_heartbeat||0);return e>t&&V&&"heartbeat"}async function Se(){O=!0;let e=b||k||!l||L>=Le,t=async()=>{let r=te();return r&&await Ee(r=="heartbeat"),e||await new Promise(a=>setTimeout(a,Ne)),!0};C=_()+be/2,await(e?t():d.alone(t))||L++,O=!1,S()}async function Ee(e){let{acted:t}=v(),r=b,a=j(),p=await(e?G("heartbeat",{idle:(w()-t)/1e3}):G("status"));p&&(k=!1,e&&c({beat:w(),told:t}),ne(p,a,!0),r&&se()=="idle"?C=_()+1e3*(p.answer.next_heartbeat||5):r&&(b=!1),oe())}function ne({answer:e,at:t},r,a){H(e,t,a),f({answer:e,at:t,path:r})}async function G(e,t){let r=await Q(i+e+"?path="+encodeURIComponent(j()),t);if(T)return r.answer?(C=0,m&&(m=0,R("online")),r):Te(r)}function Te({response:e}){let t=y(),r=t>0?Math.max(1,t/4):60,a=Number(e?.headers.get("retry-after"))||0,p=Math.min(r,Math.max(Math.min(a,300),Math.min(2**m,60)));C=_()+p*1e3*(1+Math.random()/4),m++||R("offline",{status:e?.status})}function H(e,t,r){let a=l,p=a?a.now-e.now:0;if(p>0&&p<_e)return;let I=h,V=y(),{state:Y,session:J,signed_in:ie}=e;if(L=0,e.now&&Z(e.now,t),l={...a,...e,now:e.now||a?.now||0},!J||!(ie||n.anonymous)){let W=J?"replaced":Y,ce=e.reason||"gone";r&&I&&V>Ae&&ce!="signed_out"&&!v().lost&&(c({lost:!0}),Q(i+"lost?",{state:W,believed_left:V})),h&&(u={state:W,reason:ce}),h=b=!1;return}let ae=W=>e.now+Math.max(1,W??1/0),re=ae(e.idle_left),Ce=re>g+1,X=J==a?.session;h=!0,u=void 0,g=re,x=ae(e.absolute_left),X||(f({}),d.join(J)),I&&!X&&R("changed"),a&&ie&&!(I&&a.signed_in)&&R("signed-in"),I&&X&&Ce&&R("extended")}function Me({answer:e,at:t,path:r}){if(e)if(!e.session||r==j())H(e,t);else if(o=="active")Z(e.now,t);else return N();else return N();S()}let oe=()=>{let e=o;o=se(),o!=e&&(o=="idle"||o=="absolute"?R("warning"):o!="none"&&o!="active"&&R(o)),this.dispatchEvent(new Event("change"))};function se(){if(u)return"ended";if(!l)return"unknown";if(!h)return"none";let e=l.now,t=z(),[r,a,p]=ee(l);if(!m&&($()||t>=p))return o;if(t>=p)return"unverified";let I=Y=>t>=Y&&(m||e>=Y);if(I(r))return"idle";let V=I(a)?"absolute":l.state=="stale"?"stale":"active";return V==E?"active":(E=void 0,V)}let R=(e,t)=>{let r={detail:{...U(),...t},bubbles:!0};(n.target||this).dispatchEvent(new CustomEvent("session-"+e,r))}}};var ve=`:host{color-scheme:light dark}
dialog{max-width:30em;padding:1.5em;border-radius:.5em;background:var(--session-background,Canvas);color:var(--session-color,CanvasText);font:var(--session-font,1rem/1.5 system-ui)}
::backdrop{background:var(--session-backdrop,#0008)}
.cover::backdrop{background:var(--session-cover,Canvas)}
h2{margin:0;outline:0}
a:empty,button:empty{display:none}
#countdown{font-size:2em}
#spoken{position:fixed;clip-path:inset(50%)}
button,a{display:inline-block;padding:.6em 1em;margin-top:.5em;margin-inline-end:.5em;outline-offset:2px;border:1px solid;border-radius:.5em;background:none;color:inherit;font:inherit}
#stay,#stale{background:var(--session-accent,#1d4ed8);color:var(--session-accent-color,#fff)}`;var Oe="title ended unverified stale idle absolute limit revoked kept stay out close".split(" "),we={en:`You will be signed out soon
You have been signed out
No connection to the server. Trying again…
Sign in again
You have not been active for a while.
The time of one visit cannot be extended.
You signed in on another device.
Your session was ended elsewhere.
Your input is kept. Sign in in a new tab.
Stay signed in
Sign out
Close`,de:`Sie werden bald abgemeldet
Sie wurden abgemeldet
Keine Verbindung zum Server. Neuer Versuch…
Erneut anmelden
Sie waren eine Weile nicht aktiv.
Die Zeit eines Besuchs lässt sich nicht verlängern.
Sie haben sich auf einem anderen Gerät angemeldet.
Ihre Sitzung wurde anderswo beendet.
Ihre Eingaben bleiben. Melden Sie sich in einem neuen Tab an.
Angemeldet bleiben
Abmelden
Schließen`,fr:`Vous serez bientôt déconnecté
Vous avez été déconnecté
Serveur injoignable. Nouvel essai…
Se reconnecter
Vous êtes inactif depuis un moment.
La durée d’une visite ne peut être prolongée.
Vous vous êtes connecté sur un autre appareil.
Votre session a été fermée ailleurs.
Votre saisie est conservée. Connectez-vous dans un nouvel onglet.
Rester connecté
Se déconnecter
Fermer`,es:`Su sesión se cerrará pronto
Su sesión se ha cerrado
Sin conexión con el servidor. Reintentando…
Iniciar sesión de nuevo
No ha habido actividad.
El tiempo de una visita no se puede ampliar.
Ha iniciado sesión en otro dispositivo.
Su sesión se cerró en otro lugar.
Se conserva lo escrito. Inicie sesión en otra pestaña.
Seguir conectado
Cerrar sesión
Cerrar`,zh:`您即将退出登录
您已退出登录
无法连接服务器，正在重试…
重新登录
您长时间未操作。
单次访问时间无法延长。
您已在其他设备登录。
您的会话已在别处结束。
您的输入已保留。请在新标签页登录。
保持登录
退出登录
关闭`,ar:`سيتم تسجيل خروجك قريبًا
تم تسجيل خروجك
لا يمكن الاتصال بالخادم. تُعاد المحاولة…
تسجيل الدخول مجددًا
لم يكن هناك نشاط منذ فترة.
لا يمكن تمديد وقت الزيارة.
تم تسجيل دخولك على جهاز آخر.
تم إنهاء جلستك من مكان آخر.
تم حفظ مدخلاتك. سجّل الدخول في علامة تبويب جديدة.
البقاء مسجّلًا
تسجيل الخروج
إغلاق`},xe=(...s)=>s.map(n=>n.toLowerCase().split(/[-_]/)[0]).find(n=>we[n])||"en",ye=(s,n)=>we[n].split(`
`)[Oe.indexOf(s)]||"";function ke(s,n){let i=s>60?"minute":"second";return(s>60?Math.ceil(s/60):Math.ceil(s/20)*20).toLocaleString(n,{style:"unit",unit:i,unitDisplay:"long"})}var je=[["h2","title","tabindex","-1"],["p","text"],["p","kept"],["p","countdown","aria-hidden","true"],["p","spoken","role","status"],["p","problem","role","status"],["button","stay"],["a","stale","target","_blank"],["button","close"],["button","out"]],F=class extends HTMLElement{keeper;connectedCallback(){this.keeper=Re(this)}disconnectedCallback(){this.keeper?.stop(),this.shadowRoot?.replaceChildren()}};function B(s,n){for(let i in n)s.setAttribute(i,n[i])}function Re(s){let n=u=>s.getAttribute(u),i=new P({base:n("base"),path:n("path"),loginUrl:n("login-url"),anonymous:s.hasAttribute("anonymous"),atLoad:JSON.parse(n("at-load")||"null"),target:s}),d=s.shadowRoot||s.attachShadow({mode:"open"}),v=new CSSStyleSheet;v.replaceSync(ve),d.adoptedStyleSheets=[v];let c=document.createElement("dialog");d.append(c),B(c,{role:"alertdialog",dir:"auto","aria-labelledby":"title","aria-describedby":"text kept spoken"});let f={};for(let[u,m,L="id",C=m]of je){let A=f[m]=document.createElement(u);B(A,{id:m,part:u+" "+m,[L]:C}),c.append(A)}let{stay:l,close:h}=f;l.onclick=i.extend,h.onclick=i.dismiss,f.out.onclick=i.logout;let g="",x=!1,o=()=>(l.textContent?l:h).click();c.oncancel=u=>{u.preventDefault(),o()},c.onclose=()=>{x&&o()};function E(){let{phase:u,reason:m,offline:L,left:C}=i.status(),A=u=="idle",O=u=="stale",k=u=="ended",b=A||u=="absolute",K=g!=u;if(k&&K){let M=n("on-end");M=="reload"&&location.reload(),M=="redirect"&&location.assign(n("end-url")||n("login-url")||"/")}if(g=u,x=b||O||k||u=="unverified",!x)return c.close();let T=xe(s.lang,document.documentElement.lang,navigator.language),y=(M,S)=>M?n("data-text-"+S)??ye(S||"",T):"",U=Math.max(0,Math.ceil(C)),N=Math.floor(U/60)+":"+`${U%60}`.padStart(2,"0"),j=y(x,b?"title":u),D={title:j,text:y(b,u)+y(k,m),kept:y(k,"kept"),countdown:b?N:"",spoken:b?j+": "+ke(U,T):j,problem:y(L&&b,"unverified"),stay:y(A,"stay"),stale:y(O||k,"stale"),close:y(O||b&&!A,"close"),out:y(b,"out")};for(let M in D)f[M].textContent!=D[M]&&(f[M].textContent=D[M]);B(c,{lang:T,part:"dialog "+u,class:k||u=="unverified"?"cover":""}),B(f.stale,{href:n("login-url")||location.href}),c.open||c.showModal(),K&&f.title.focus()}return i.addEventListener("change",E),i.start(),i}customElements.get("session-keeper")||customElements.define("session-keeper",F);export{P as SessionKeeper};
