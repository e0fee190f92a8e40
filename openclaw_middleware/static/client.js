var ce="pointerdown keydown wheel touchmove input",le="visibilitychange resume focus online";function ue(n,t,s){for(let d of n.split(" "))addEventListener(d,t,{capture:!0,passive:!0,signal:s})}var de=0,fe=0,pe=0,y=()=>Date.now(),N=()=>performance.now(),he=()=>[y()-fe,N()-pe];function Z(n,t){de=n,fe=t,pe=N()-y()+t}var z=()=>de+Math.max(...he())/1e3;function $(){let[n,t]=he();return Math.abs(n-t)>2e3}var Ne=1e4;async function Q(n,t){let s=y(),d,h;try{d=await fetch(n,{method:t&&"POST",headers:{"content-type":"application/json","x-session-client":"1"},body:JSON.stringify(t),cache:"no-store",redirect:"manual",keepalive:!0,signal:AbortSignal.timeout(Ne)});let{status:f,type:b}=d,c=await d.text();if((f==200||b=="opaqueredirect")&&(h={state:"login_page",now:0}),f==200||f==401){let p=JSON.parse(c);h=p?.state&&p.now>0?p:void 0}}catch{}return{answer:h,at:s,response:d}}var J=n=>({session:n,acted:0,told:0,beat:0});function me(n,t){let s=J(),d,h;function f(){try{return Object(JSON.parse(localStorage[n]))}catch{return J()}}function b(){let a=f();return a.session==s.session&&(s=a),Math.max(s.acted,s.beat)<y()+1e3||(s=J(s.session)),s}function c(a){Object.assign(b(),a);try{localStorage[n]=JSON.stringify(s)}catch{}}function p(){h?.close(),h=void 0}function E(a=s.session){if(a!=s.session&&(s=J(a),p(),c({})),!(!a||h))try{h=new BroadcastChannel(n+a),h.onmessage=l=>t(l.data)}catch{}}return{read:b,write:c,join:E,leave:p,news(){let{session:a}=f(),l=a&&a!=s.session&&a!=d;return d=a,l},post(a){h?.postMessage(a)},async alone(a){try{let l={ifAvailable:!0};return await navigator.locks.request(n,l,L=>!!L&&a())}catch{return a()}}}}var ge=1e3,_e=5,Le=100,Oe=60,je=5,U=class extends EventTarget{constructor(t={}){super();let s=new URL(t.base||".",import.meta.url).href,d=me("session-keeper:"+s,Ie),{read:h,write:f,post:b}=d,c,p=!1,E=1/0,a=1/0,l="unknown",L,u,m=!1,O=0,j=0,k=0,Y=-1/0,M=!1,v=!1,C=!1,S,T;this.start=()=>{if(T)return;T=new AbortController;let{signal:e}=T,o=(i,g)=>ue(i,g,e);o(ce,i=>i.isTrusted&&Se()),o(le,i=>i.target.tagName||Ee()),o("pagehide",d.leave),o("pageshow",i=>{d.join(),i.persisted&&w()}),o("storage",()=>d.news()&&w()),d.join();let{atLoad:r}=t;r&&Math.abs(r.now-y()/1e3)<30&&G(r,y()),S=setInterval(A,ge),A()},this.stop=()=>{T?.abort(),T=void 0,clearInterval(S),d.leave()};let K=()=>Math.min(E,a)-z(),B=this.status=()=>({...c,phase:l,left:l=="absolute"?a-z():K(),offline:m,...u}),w=this.check=()=>{v=!0,k=0,A()};this.extend=()=>{C=!0,f({acted:y()}),w()},this.logout=async()=>{let e=await F("logout",{});return e?(H("ended","signed_out"),b({out:!0})):v=!0,A(),!!e},this.dismiss=()=>{L=l,A()},this.heard=({status:e,redirected:o,url:r})=>{let i=e==401||o&&r.includes(t.loginUrl||`
`);return i&&w(),i};let _=()=>t.path||location.pathname;function Se(){!p||l=="idle"||N()-Y<1e3||(Y=N(),f({acted:y()}),A())}function Ee(){let e=l=="active"||l=="none",o=c&&z()-c.now<(e?c.heartbeat_interval:2);m||!o&&document.visibilityState=="visible"?w():A()}function A(){T&&(ne(),te()&&!M&&N()>=k&&Te())}function ee(e){return[E<a-1?E-e.warning_lead:1/0,a-e.absolute_warning_lead,Math.min(E,a)]}function te(){if(C)return"heartbeat";if(!c||v||p&&$())return"status";if(!p)return"";let{acted:e,told:o,beat:r}=h(),i=c.now,g=z(),x=ee(c);if(x.some(V=>i<V&&V<=g))return e>o&&g<x[2]?"heartbeat":"status";let I=y()-r>=1e3*c.heartbeat_interval&&g>=i+(c.next_heartbeat||0);return e>o&&I&&"heartbeat"}async function Te(){M=!0;let e=C||v||!c||j>=je,o=async()=>{let r=te();return r&&await Me(r=="heartbeat"),e||await new Promise(i=>setTimeout(i,Le)),!0};await(e?o():d.alone(o))||(j++,k=N()+ge/2),M=!1,A()}async function Me(e){let{acted:o}=h(),r=C,i=_(),g=await(e?F("heartbeat",{idle:Math.max(0,y()-o)/1e3,path:i}):F("status?path="+encodeURIComponent(i)));if(!g)return;let{answer:x,at:I}=g;v=!1,e&&f({beat:y(),told:o}),G(x,I,!0),b({answer:x,at:I,path:i}),r&&oe()=="idle"?k=N()+1e3*(x.next_heartbeat||5):r&&(C=!1),ne()}async function F(e,o){let r=await Q(s+e,o);if(T)return r.answer?(k=0,m&&(m=!1,R("online")),r):Ce(r)}function Ce({response:e}){O=m?O+1:0;let o=K(),r=o>0?Math.max(1,o/4):60,i=Number(e?.headers.get("retry-after"))||0,g=Math.max(Math.min(i,300),Math.min(2**O,r,60));k=N()+g*1e3*(1+Math.random()/4),m||(m=!0,R("offline",{status:e?.status}))}function G(e,o,r){let i=c,g=i?i.now-e.now:0;if(g>0&&g<Oe)return;let x=p,I=K(),{state:V,session:D,signed_in:se}=e;if(j=0,e.now&&Z(e.now,o),c={...i,...e,now:e.now||i?.now||0},!D||!(se||t.anonymous)){let P=D?"replaced":V,re=e.reason||"gone";return r&&x&&I>_e&&re!="signed_out"&&!h().lost&&(f({lost:!0}),Q(s+"lost",{state:P,believed_left:I})),H(P,re)}let ie=P=>e.now+Math.max(1,P??1/0),ae=ie(e.idle_left),Ae=ae>E+1,X=D==i?.session;p=!0,u=void 0,E=ae,a=ie(e.absolute_left),X||(b({}),d.join(D)),x&&!X&&R("changed"),i&&se&&!(x&&i.signed_in)&&R("signed-in"),x&&X&&Ae&&R("extended")}function H(e,o){p&&(u={state:e,reason:o}),p=C=!1}function Ie({answer:e,at:o,path:r,out:i}){if(i)H("ended","signed_out");else if(e)if(!e.session||r==_())G(e,o);else if(l=="active")Z(e.now,o);else return w();else return w();A()}let ne=()=>{let e=l;l=oe(),l!=e&&(l=="idle"||l=="absolute"?R("warning"):l!="none"&&l!="active"&&R(l)),this.dispatchEvent(new Event("change"))};function oe(){if(u)return"ended";if(!c)return"unknown";if(!p)return"none";let e=c.now,o=z(),[r,i,g]=ee(c);if(!m&&($()||o>=g))return l;if(o>=g)return"unverified";let x=V=>o>=V&&(m||e>=V);if(x(r))return"idle";let I=x(i)?"absolute":c.state=="stale"?"stale":"active";return I==L?"active":(L=void 0,I)}let R=(e,o)=>{let r={detail:{...B(),...o},bubbles:!0};(t.target||this).dispatchEvent(new CustomEvent("session-"+e,r))}}};var be=`:host{color-scheme:light dark}
dialog{max-width:30em;padding:1.5em;border-radius:.5em;background:var(--session-background,Canvas);color:var(--session-color,CanvasText);font:var(--session-font,1rem/1.5 system-ui)}
::backdrop{background:var(--session-backdrop,#0008)}
.cover::backdrop{background:var(--session-cover,Canvas)}
a:empty,button:empty{display:none}
#countdown{font-size:2em}
#spoken{position:absolute;clip-path:inset(50%)}
button,a{display:inline-block;padding:.6em 1em;margin:.5em .5em 0 0;border:1px solid;border-radius:.5em;background:none;color:inherit;font:inherit}
#stay,#stale{background:var(--session-accent,#1d4ed8);color:var(--session-accent-color,#fff)}`;var Re="title ended unverified stale idle absolute limit revoked kept stay out close".split(" "),ve={en:`You will be signed out soon
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
`)[Re.indexOf(n)]||"";function ke(n,t){let s=n>60?"minute":"second";return(n>60?Math.ceil(n/60):Math.ceil(n/20)*20).toLocaleString(t,{style:"unit",unit:s,unitDisplay:"long"})}var Ve=[["h2","title","tabindex","-1"],["p","text"],["p","kept"],["p","countdown","aria-hidden","true"],["p","spoken","aria-live","polite"],["p","problem","role","status"],["button","stay"],["a","stale","target","_blank"],["button","close"],["button","out"]],q=class extends HTMLElement{keeper;connectedCallback(){this.keeper=Ye(this)}disconnectedCallback(){this.keeper?.stop(),this.shadowRoot?.replaceChildren()}};function W(n,t){for(let s in t)n.setAttribute(s,t[s])}function Ye(n){let t=u=>n.getAttribute(u),s=new U({base:t("base"),path:t("path"),loginUrl:t("login-url"),anonymous:n.hasAttribute("anonymous"),atLoad:JSON.parse(t("at-load")||"null"),target:n}),d=n.shadowRoot||n.attachShadow({mode:"open"}),h=new CSSStyleSheet;h.replaceSync(be),d.adoptedStyleSheets=[h];let f=document.createElement("dialog");d.append(f),W(f,{role:"alertdialog",dir:"auto","aria-labelledby":"title","aria-describedby":"text kept spoken"});let b={};for(let[u,m,O="id",j=m]of Ve){let k=b[m]=document.createElement(u);W(k,{id:m,part:u+" "+m,[O]:j}),f.append(k)}let{stay:c,close:p}=b;c.onclick=s.extend,p.onclick=s.dismiss,b.out.onclick=s.logout;let E="",a=!1,l=()=>(c.textContent?c:p).click();f.oncancel=u=>{u.preventDefault(),l()},f.onclose=()=>{a&&l()};function L(){let{phase:u,reason:m,offline:O,left:j}=s.status(),k=u=="idle",Y=u=="stale",M=u=="ended",v=k||u=="absolute";if(M&&E!=u){let w=t("on-end");w=="reload"&&location.reload(),w=="redirect"&&location.assign(t("end-url")||t("login-url")||"/")}if(E=u,a=v||Y||M||u=="unverified",!a)return f.close();let C=xe(n.lang,document.documentElement.lang,navigator.language),S=(w,_)=>w?t("data-text-"+_)??ye(_||"",C):"",T=Math.max(0,Math.ceil(j)),K=Math.floor(T/60)+":"+`${T%60}`.padStart(2,"0"),B={title:S(a,v?"title":u),text:S(v,u)+S(M,m),kept:S(M,"kept"),countdown:v?K:"",spoken:v?S(v,"title")+": "+ke(T,C):"",problem:S(O&&v,"unverified"),stay:S(k,"stay"),stale:S(Y||M,"stale"),close:S(Y||v&&!k,"close"),out:S(v,"out")};for(let[w,_]of Object.entries(B))b[w].textContent!=_&&(b[w].textContent=_);W(f,{lang:C,part:"dialog "+u,class:M||u=="unverified"?"cover":""}),W(b.stale,{href:t("login-url")||location.href}),f.open||f.showModal()}return s.addEventListener("change",L),s.start(),s}customElements.get("session-keeper")||customElements.define("session-keeper",q);export{U as SessionKeeper};
