var ce="pointerdown keydown wheel touchmove input",le="visibilitychange resume focus online";function ue(n,t,s){for(let f of n.split(" "))addEventListener(f,t,{capture:!0,passive:!0,signal:s})}var de=0,fe=0,pe=0,k=()=>Date.now(),N=()=>performance.now(),he=()=>[k()-fe,N()-pe];function Z(n,t){de=n,fe=t,pe=N()-k()+t}var z=()=>de+Math.max(...he())/1e3;function $(){let[n,t]=he();return Math.abs(n-t)>2e3}var Ae=1e4;async function Q(n,t){let s=k(),f=Math.random(),p,d;try{p=await fetch(n+"&nonce="+f,{method:t&&"POST",headers:{"content-type":"application/json","x-session-client":"1"},body:JSON.stringify(t),cache:"no-store",redirect:"manual",keepalive:!0,signal:AbortSignal.timeout(Ae)});let{status:m,type:c}=p,g=await p.text();if((m==200||c=="opaqueredirect")&&(d={state:"login_page",now:0}),m==200||m==401){let x=JSON.parse(g);d=x?.nonce==f?x:void 0}}catch{}return{answer:d,at:s,response:p}}var J=n=>({session:n,acted:0,told:0,beat:0});function me(n,t){let s=J(),f,p;function d(){try{return Object(JSON.parse(localStorage[n]))}catch{return J()}}function m(){let i=d();return i.session==s.session&&(s=i),Math.max(s.acted,s.beat)<k()+1e3||(s=J(s.session)),s}function c(i){Object.assign(m(),i);try{localStorage[n]=JSON.stringify(s)}catch{}}function g(){p?.close(),p=void 0}function x(i=s.session){if(i!=s.session&&(s=J(i),g(),c({})),!(!i||p))try{p=new BroadcastChannel(n+i),p.onmessage=l=>t(l.data)}catch{}}return{read:m,write:c,join:x,leave:g,news(){let{session:i}=d(),l=i&&i!=s.session&&i!=f;return f=i,l},post(i){p?.postMessage(i)},async alone(i){try{let l={ifAvailable:!0};return await navigator.locks.request(n,l,_=>!!_&&i())}catch{return i()}}}}var ge=1e3,Ne=5,_e=100,Le=60,Oe=5,K=class extends EventTarget{constructor(t={}){super();let s=new URL(t.base||".",import.meta.url).href,f=me("session-keeper:"+s,Ce),{read:p,write:d,post:m}=f,c,g=!1,x=1/0,i=1/0,l="unknown",_,u,b=0,L=0,M=0,I=-1/0,O=!1,E=!1,v=!1,Y,h;this.start=()=>{if(h)return;h=new AbortController;let{signal:e}=h,o=(a,w)=>ue(a,w,e);o(ce,a=>a.isTrusted&&U()),o(le,a=>a.target.tagName||Se()),o("pagehide",f.leave),o("pageshow",a=>{f.join(),a.persisted&&T()}),o("storage",()=>f.news()&&T()),f.join();let{atLoad:r}=t;r&&Math.abs(r.now-k()/1e3)<30&&G(r,k()),Y=setInterval(A,ge),A()},this.stop=()=>{h?.abort(),h=void 0,clearInterval(Y),f.leave()};let j=()=>Math.min(x,i)-z(),B=this.status=()=>({...c,phase:l,left:l=="absolute"?i-z():j(),offline:b>0,...u}),T=this.check=()=>{E=!0,M=0,A()};this.extend=()=>{v=!0,d({acted:k()}),T()},this.logout=async()=>{let e=!!(await F("logout",{}))?.answer.now;return e?(H("ended","signed_out"),m({out:!0})):E=!0,A(),e},this.dismiss=()=>{_=l,A()},this.heard=({status:e,redirected:o,url:r})=>{let a=e==401||o&&r.includes(t.loginUrl||`
`);return a&&T(),a};let S=()=>t.path||location.pathname;function U(){!g||l=="idle"||N()-I<1e3||(I=N(),d({acted:k()}),A())}function Se(){let e=l=="active"||l=="none",o=c&&z()-c.now<(e?c.heartbeat_interval:2);b||!o&&document.visibilityState=="visible"?T():A()}function A(){h&&(ne(),te()&&!O&&N()>=M&&Ee())}function ee(e){return[x<i-1?x-e.warning_lead:1/0,i-e.absolute_warning_lead,Math.min(x,i)]}function te(){if(v)return"heartbeat";if(!c||E||g&&$())return b%2?"heartbeat":"status";if(!g)return"";let{acted:e,told:o,beat:r}=p(),a=c.now,w=z(),y=ee(c);if(y.some(V=>a<V&&V<=w))return e>o&&w<y[2]?"heartbeat":"status";let C=k()-r>=1e3*c.heartbeat_interval&&w>=a+(c.next_heartbeat||0);return e>o&&C&&"heartbeat"}async function Ee(){O=!0;let e=v||E||!c||L>=Oe,o=async()=>{let r=te();return r&&await Te(r=="heartbeat"),e||await new Promise(a=>setTimeout(a,_e)),!0};await(e?o():f.alone(o))||(L++,M=N()+ge/2),O=!1,A()}async function Te(e){let{acted:o}=p(),r=v,a=S(),w=await(e?F("heartbeat",{idle:(k()-o)/1e3}):F("status"));if(!w)return;let{answer:y,at:C}=w;E=!1,e&&d({beat:k(),told:o}),G(y,C,!0),m({answer:y,at:C,path:a}),r&&oe()=="idle"?M=N()+1e3*(y.next_heartbeat||5):r&&(v=!1),ne()}async function F(e,o){let r=await Q(s+e+"?path="+encodeURIComponent(S()),o);if(h)return r.answer?(M=0,b&&(b=0,R("online")),r):Me(r)}function Me({response:e}){let o=j(),r=o>0?Math.max(1,o/4):60,a=Number(e?.headers.get("retry-after"))||0,w=Math.max(Math.min(a,300),Math.min(2**b,r,60));M=N()+w*1e3*(1+Math.random()/4),b++||R("offline",{status:e?.status})}function G(e,o,r){let a=c,w=a?a.now-e.now:0;if(w>0&&w<Le)return;let y=g,C=j(),{state:V,session:D,signed_in:se}=e;if(L=0,e.now&&Z(e.now,o),c={...a,...e,now:e.now||a?.now||0},!D||!(se||t.anonymous)){let P=D?"replaced":V,re=e.reason||"gone";return r&&y&&C>Ne&&re!="signed_out"&&!p().lost&&(d({lost:!0}),Q(s+"lost?",{state:P,believed_left:C})),H(P,re)}let ie=P=>e.now+Math.max(1,P??1/0),ae=ie(e.idle_left),Ie=ae>x+1,X=D==a?.session;g=!0,u=void 0,x=ae,i=ie(e.absolute_left),X||(m({}),f.join(D)),y&&!X&&R("changed"),a&&se&&!(y&&a.signed_in)&&R("signed-in"),y&&X&&Ie&&R("extended")}function H(e,o){g&&(u={state:e,reason:o}),g=v=!1}function Ce({answer:e,at:o,path:r,out:a}){if(a)H("ended","signed_out");else if(e)if(!e.session||r==S())G(e,o);else if(l=="active")Z(e.now,o);else return T();else return T();A()}let ne=()=>{let e=l;l=oe(),l!=e&&(l=="idle"||l=="absolute"?R("warning"):l!="none"&&l!="active"&&R(l)),this.dispatchEvent(new Event("change"))};function oe(){if(u)return"ended";if(!c)return"unknown";if(!g)return"none";let e=c.now,o=z(),[r,a,w]=ee(c);if(!b&&($()||o>=w))return l;if(o>=w)return"unverified";let y=V=>o>=V&&(b||e>=V);if(y(r))return"idle";let C=y(a)?"absolute":c.state=="stale"?"stale":"active";return C==_?"active":(_=void 0,C)}let R=(e,o)=>{let r={detail:{...B(),...o},bubbles:!0};(t.target||this).dispatchEvent(new CustomEvent("session-"+e,r))}}};var be=`:host{color-scheme:light dark}
dialog{max-width:30em;padding:1.5em;border-radius:.5em;background:var(--session-background,Canvas);color:var(--session-color,CanvasText);font:var(--session-font,1rem/1.5 system-ui)}
::backdrop{background:var(--session-backdrop,#0008)}
.cover::backdrop{background:var(--session-cover,Canvas)}
h2{margin:0;outline:0}
a:empty,button:empty{display:none}
#countdown{font-size:2em}
#spoken{position:absolute;clip-path:inset(50%)}
button,a{display:inline-block;padding:.6em 1em;margin:.5em .5em 0 0;border:1px solid;border-radius:.5em;background:none;color:inherit;font:inherit}
#stay,#stale{background:var(--session-accent,#1d4ed8);color:var(--session-accent-color,#fff)}`;var je="title ended unverified stale idle absolute limit revoked kept stay out close".split(" "),ve={en:`You will be signed out soon
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
`)[je.indexOf(n)]||"";function ke(n,t){let s=n>60?"minute":"second";return(n>60?Math.ceil(n/60):Math.ceil(n/20)*20).toLocaleString(t,{style:"unit",unit:s,unitDisplay:"long"})}var Re=[["h2","title","tabindex","-1"],["p","text"],["p","kept"],["p","countdown","aria-hidden","true"],["p","spoken","aria-live","polite"],["p","problem","role","status"],["button","stay"],["a","stale","target","_blank"],["button","close"],["button","out"]],q=class extends HTMLElement{keeper;connectedCallback(){this.keeper=Ve(this)}disconnectedCallback(){this.keeper?.stop(),this.shadowRoot?.replaceChildren()}};function W(n,t){for(let s in t)n.setAttribute(s,t[s])}function Ve(n){let t=u=>n.getAttribute(u),s=new K({base:t("base"),path:t("path"),loginUrl:t("login-url"),anonymous:n.hasAttribute("anonymous"),atLoad:JSON.parse(t("at-load")||"null"),target:n}),f=n.shadowRoot||n.attachShadow({mode:"open"}),p=new CSSStyleSheet;p.replaceSync(be),f.adoptedStyleSheets=[p];let d=document.createElement("dialog");f.append(d),W(d,{role:"alertdialog",dir:"auto","aria-labelledby":"title","aria-describedby":"text kept spoken"});let m={};for(let[u,b,L="id",M=b]of Re){let I=m[b]=document.createElement(u);W(I,{id:b,part:u+" "+b,[L]:M}),d.append(I)}let{stay:c,close:g}=m;c.onclick=s.extend,g.onclick=s.dismiss,m.out.onclick=s.logout;let x="",i=!1,l=()=>(c.textContent?c:g).click();d.oncancel=u=>{u.preventDefault(),l()},d.onclose=()=>{i&&l()};function _(){let{phase:u,reason:b,offline:L,left:M}=s.status(),I=u=="idle",O=u=="stale",E=u=="ended",v=I||u=="absolute";if(E&&x!=u){let S=t("on-end");S=="reload"&&location.reload(),S=="redirect"&&location.assign(t("end-url")||t("login-url")||"/")}if(x=u,i=v||O||E||u=="unverified",!i)return d.close();let Y=xe(n.lang,document.documentElement.lang,navigator.language),h=(S,U)=>S?t("data-text-"+U)??ye(U||"",Y):"",j=Math.max(0,Math.ceil(M)),B=Math.floor(j/60)+":"+`${j%60}`.padStart(2,"0"),T={title:h(i,v?"title":u),text:h(v,u)+h(E,b),kept:h(E,"kept"),countdown:v?B:"",spoken:v?h(v,"title")+": "+ke(j,Y):"",problem:h(L&&v,"unverified"),stay:h(I,"stay"),stale:h(O||E,"stale"),close:h(O||v&&!I,"close"),out:h(v,"out")};for(let S in T)m[S].textContent!=T[S]&&(m[S].textContent=T[S]);W(d,{lang:Y,part:"dialog "+u,class:E||u=="unverified"?"cover":""}),W(m.stale,{href:t("login-url")||location.href}),d.open||d.showModal()}return s.addEventListener("change",_),s.start(),s}customElements.get("session-keeper")||customElements.define("session-keeper",q);export{K as SessionKeeper};
