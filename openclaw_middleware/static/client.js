var le="pointerdown keydown wheel touchmove input",ue="visibilitychange resume focus online";function de(n,t,s){for(let d of n.split(" "))addEventListener(d,t,{capture:!0,passive:!0,signal:s})}var fe=0,pe=0,he=0,w=()=>Date.now(),k=()=>performance.now(),me=()=>[w()-pe,k()-he];function Z(n,t){fe=n,pe=t,he=k()-w()+t}var U=()=>fe+Math.max(...me())/1e3;function $(){let[n,t]=me();return Math.abs(n-t)>2e3}var _e=1e4;async function Q(n,t){let s=w()-k()/2,d,g;try{d=await fetch(n,{method:t&&"POST",headers:{"content-type":"application/json","x-session-client":"1"},body:JSON.stringify(t),cache:"no-store",redirect:"manual",keepalive:!0,signal:AbortSignal.timeout(_e)});let{status:f,type:v}=d,u=await d.text();if((f==200||v=="opaqueredirect")&&(g={state:"login_page",now:0}),f==200||f==401){let p=JSON.parse(u);g=p?.state&&p.now>0?p:void 0}}catch{}return{answer:g,at:s+k()/2,response:d}}var J=n=>({session:n,acted:0,told:0,beat:0});function ge(n,t){let s=J(),d,g;function f(){try{return Object(JSON.parse(localStorage[n]))}catch{return J()}}function v(){let a=f();return a.session==s.session&&(s=a),Math.max(s.acted,s.beat)<w()+1e3||(s=J(s.session)),s}function u(a){Object.assign(v(),a);try{localStorage[n]=JSON.stringify(s)}catch{}}function p(){g?.close(),g=void 0}function S(a=s.session){if(a!=s.session&&(s=J(a),p(),u({})),!(!a||g))try{g=new BroadcastChannel(n+a),g.onmessage=c=>t(c.data)}catch{}}return{read:v,write:u,join:S,leave:p,news(){let{session:a}=f(),c=a&&a!=s.session&&a!=d;return d=a,c},post(a){g?.postMessage(a)},async alone(a){try{let c={ifAvailable:!0};return await navigator.locks.request(n,c,L=>!!L&&a())}catch{return a()}}}}var Ae=1e3,Ne=5,Le=100,je=5,K=class extends EventTarget{constructor(t={}){super();let s=new URL(t.base||".",import.meta.url).href,d=ge("session-keeper:"+s,Ce),{read:g,write:f,post:v}=d,u,p=!1,S=1/0,a=1/0,c="unknown",L,j,r=!1,E=0,O=0,M=0,I=-1/0,R=!1,x=!1,b=!1,D,h;this.start=()=>{if(h)return;h=new AbortController;let{signal:e}=h,o=(i,m)=>de(i,m,e);o(le,i=>i.isTrusted&&V()),o(ue,i=>i.target.tagName||Se()),o("pagehide",d.leave),o("pageshow",i=>{d.join(),i.persisted&&_()}),o("storage",()=>d.news()&&_()),d.join();let{atLoad:l}=t;l&&Math.abs(l.now-w()/1e3)<30&&G(l,w()),D=setInterval(A,Ae),A()},this.stop=()=>{h?.abort(),h=void 0,clearInterval(D),d.leave()};let Y=()=>Math.min(S,a)-U(),B=this.status=()=>({...u,phase:c,left:c=="absolute"?a-U():Y(),offline:r,...j}),_=this.check=()=>{x=!0,M=0,A()};this.extend=()=>{b=!0,f({acted:w()}),_()},this.logout=async()=>{let e=await F("logout",{});return e?(H("ended","signed_out"),v({out:!0})):x=!0,A(),!!e},this.dismiss=()=>{L=c,A()},this.heard=({status:e,redirected:o,url:l})=>{let i=e==401||o&&l.includes(t.loginUrl||`
`);return i&&_(),i};let T=()=>t.path||location.pathname;function V(){k()-I<1e3||c=="idle"||(I=k(),f({acted:w()}),A())}function Se(){let e=c=="active"||c=="none",o=u&&U()-u.now<(e?u.heartbeat_interval:2);r||!o&&document.visibilityState=="visible"?_():A()}function A(){if(!h)return;let e=te();ne(),e&&!R&&k()>=M&&Ee()}function ee(e){return[S<a-1?S-e.warning_lead:1/0,a-e.absolute_warning_lead,Math.min(S,a)]}function te(){if(b)return"heartbeat";if(!u||x||p&&$())return"status";if(!p)return"";let{acted:e,told:o,beat:l}=g(),i=u.now,m=U(),y=ee(u);if(y.some(N=>i<N&&N<=m))return e>o&&m<y[2]?"heartbeat":"status";let C=w()-l>=1e3*u.heartbeat_interval&&m>=i+(u.next_heartbeat||0);return e>o&&C&&"heartbeat"}async function Ee(){R=!0;let e=b||x||!u||O>=je,o=async()=>{let l=te();return l&&await Me(l=="heartbeat"),e||await new Promise(i=>setTimeout(i,Le)),!0};await(e?o():d.alone(o))||(O++,M=k()+1e3),R=!1,A()}async function Me(e){let{acted:o}=g(),l=b,i=T(),m=await(e?F("heartbeat",{idle:Math.max(0,w()-o)/1e3,path:i}):F("status?path="+encodeURIComponent(i)));if(!m)return;let{answer:y,at:C}=m;x=!1,e&&f({beat:w(),told:o}),G(y,C,!0),v({answer:y,at:C,path:i}),l&&oe()=="idle"?M=k()+1e3*(y.next_heartbeat||5):l&&(b=!1),ne()}async function F(e,o){let l=await Q(s+e,o);if(h)return l.answer?(M=0,r&&(r=!1,z("online")),l):Te(l)}function Te({response:e}){E=r?E+1:0;let o=Y(),l=o>0?Math.max(1,o/4):60,i=Number(e?.headers.get("retry-after"))||0,m=Math.max(Math.min(i,300),Math.min(2**E,l,60));M=k()+m*1e3*(1+Math.random()/4),r||(r=!0,z("offline",{status:e?.status}))}function G(e,o,l){let i=u,m=p,y=Y(),{state:C,session:N,signed_in:se}=e;O=0,e.now&&Z(e.now,o),u={...i,...e,now:e.now||U()};let ie=!N||C=="ended";if(ie||!(se||t.anonymous)){let P=ie?C:"replaced",ce=e.reason||"gone";return l&&m&&y>Ne&&ce!="signed_out"&&!g().lost&&(f({lost:!0}),Q(s+"lost",{state:P,believed_left:Math.min(y,1e9)})),H(P,ce)}let ae=P=>e.now+Math.max(1,P??1/0),re=ae(e.idle_left),Ie=re>S+1,X=N==i?.session;p=!0,j=void 0,S=re,a=ae(e.absolute_left),X||(v({}),d.join(N)),m&&!X&&z("changed"),i&&se&&!(m&&i.signed_in)&&z("signed-in"),m&&X&&Ie&&z("extended")}function H(e,o){p&&(j={state:e,reason:o}),p=b=!1}function Ce({answer:e,at:o,path:l,out:i}){if(i)H("ended","signed_out");else if(e){if(u&&e.now&&e.now<u.now)return;if(!e.session||l==T())G(e,o);else if(c=="active")Z(e.now,o);else return _()}else return _();A()}let ne=()=>{let e=c;c=oe(),c!=e&&(c=="idle"||c=="absolute"?z("warning"):c!="none"&&c!="active"&&z(c)),this.dispatchEvent(new Event("change"))};function oe(){if(j)return"ended";if(!u)return"unknown";if(!p)return"none";let e=u.now,o=U(),[l,i,m]=ee(u);if(!r&&($()||o>=m))return c;if(o>=m)return"unverified";let y=N=>o>=N&&(r||e>=N);if(y(l))return"idle";let C=y(i)?"absolute":u.state=="stale"?"stale":"active";return C==L?"active":(L=void 0,C)}let z=(e,o)=>{let l={detail:{...B(),...o},bubbles:!0};(t.target||this).dispatchEvent(new CustomEvent("session-"+e,l))}}};var be=`:host{color-scheme:light dark}
dialog{max-width:30em;padding:1.5em;border-radius:.5em;background:var(--session-background,Canvas);color:var(--session-color,CanvasText);font:var(--session-font,1rem/1.5 system-ui)}
::backdrop{background:var(--session-backdrop,#0008)}
.cover::backdrop{background:var(--session-cover,Canvas)}
a:empty,button:empty{display:none}
#countdown{font-size:2em}
#spoken{position:absolute;clip-path:inset(50%)}
button,a{display:inline-block;padding:.6em 1em;margin:.5em .5em 0 0;border:1px solid;border-radius:.5em;background:none;color:inherit;font:inherit}
#stay,#stale{background:var(--session-accent,#1d4ed8);color:var(--session-accent-color,#fff)}`;var Oe="title ended unverified stale idle absolute limit revoked kept stay out close".split(" "),ve={en:`You will be signed out soon
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
إغلاق`},we=n=>n.toLowerCase().split("-")[0],xe=(...n)=>n.find(t=>ve[we(t)])||"en",ye=(n,t)=>ve[we(t)].split(`
`)[Oe.indexOf(n)]||"";function ke(n,t){let s=n>60?"minute":"second";return(n>60?Math.ceil(n/60):Math.ceil(n/20)*20).toLocaleString(t,{style:"unit",unit:s,unitDisplay:"long"})}var Re=[["h2","title","tabindex","-1"],["p","text"],["p","kept"],["p","countdown","aria-hidden","true"],["p","spoken","aria-live","polite"],["p","problem","role","status"],["button","stay"],["a","stale","target","_blank"],["button","close"],["button","out"]],q=class extends HTMLElement{keeper;connectedCallback(){this.keeper=Ye(this)}disconnectedCallback(){this.keeper?.stop(),this.shadowRoot?.replaceChildren()}};function W(n,t){for(let s in t)n.setAttribute(s,t[s])}function Ye(n){let t=r=>n.getAttribute(r),s=new K({base:t("base"),path:t("path"),loginUrl:t("login-url"),anonymous:n.hasAttribute("anonymous"),atLoad:JSON.parse(t("at-load")||"null"),target:n}),d=n.shadowRoot||n.attachShadow({mode:"open"}),g=new CSSStyleSheet;g.replaceSync(be),d.adoptedStyleSheets=[g];let f=document.createElement("dialog");d.append(f),W(f,{role:"alertdialog",dir:"auto","aria-labelledby":"title","aria-describedby":"text kept spoken"});let v={};for(let[r,E,O="id",M=E]of Re){let I=v[E]=document.createElement(r);W(I,{id:E,part:r+" "+E,[O]:M}),f.append(I)}let{title:u,stay:p,close:S}=v;p.onclick=s.extend,S.onclick=s.dismiss,v.out.onclick=s.logout;let a="",c=!1,L=()=>(p.textContent?p:S).click();f.oncancel=r=>{r.preventDefault(),L()},f.onclose=()=>{c&&(L(),j())};function j(){let{phase:r,reason:E,offline:O,left:M}=s.status(),I=r=="idle",R=r=="stale",x=r=="ended",b=I||r=="absolute";if(x&&a!=r){let T=t("on-end");T=="reload"&&location.reload(),T=="redirect"&&location.assign(t("end-url")||t("login-url")||"/")}if(a=r,c=b||R||x||r=="unverified",!c)return f.close();let D=xe(n.lang,document.documentElement.lang,navigator.language),h=(T,V)=>T?t("data-text-"+V)??ye(V||"",D):"",Y=Math.max(0,Math.ceil(M)),B=Math.floor(Y/60)+":"+`${Y%60}`.padStart(2,"0"),_={title:h(c,b?"title":r),text:h(b,r)+h(x,E),kept:h(x,"kept"),countdown:b?B:"",spoken:b?h(b,"title")+": "+ke(Y,D):"",problem:h(O&&b,"unverified"),stay:h(I,"stay"),stale:h(R||x,"stale"),close:h(R||b&&!I,"close"),out:h(b,"out")};for(let[T,V]of Object.entries(_))v[T].textContent!=V&&(v[T].textContent=V);W(f,{lang:D,part:"dialog "+r,class:x||r=="unverified"?"cover":""}),W(v.stale,{href:t("login-url")||location.href}),!f.open&&(f.showModal(),u.focus())}return s.addEventListener("change",j),s.start(),s}customElements.get("session-keeper")||customElements.define("session-keeper",q);export{K as SessionKeeper};
